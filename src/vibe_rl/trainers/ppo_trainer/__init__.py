"""A trainer of PPO that counts episodes, watches for convergence and draws what it did."""
