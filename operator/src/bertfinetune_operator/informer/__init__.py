"""What is known of the cluster, what is due, and the watches that feed both."""
