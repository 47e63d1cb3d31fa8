"""The game in another process, asked by lines of JSON, and its observations decoded."""
