"""The params of environments: given by keyword, within their bounds, of one or of many."""
