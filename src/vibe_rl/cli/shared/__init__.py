"""What commands share: options, output, streams, and who plays."""
