"""What goes wrong between this service and S3, on demand: a line that breaks, a store that lies, a role that fails."""
