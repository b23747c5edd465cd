"""What one trial computes: data, features, nets, losses, loop, metrics."""
