"""`agentos jobs simulate`."""
from argparse import Namespace
def main(args: Namespace) -> int:
    """x."""
    return 0
