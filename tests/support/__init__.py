"""What tests build on: real databases, real nodes. Nothing here pretends to be something else."""
