"""The version, from which everything else takes it: the package, its build and every manifest."""

__version__ = "0.2.0"
