"""Everything fitted or served; the only folder that knows torch and Lightning."""
