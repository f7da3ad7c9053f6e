"""What happens, in which order; the only folder that knows Prefect."""
