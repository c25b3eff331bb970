"""The API's types: what users write, and what the operator records. The CRD is generated from them."""
