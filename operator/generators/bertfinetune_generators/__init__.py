"""The CRD and the pages about API and metrics, made from code; no part of the operator. Each module prints one."""
