"""Records of WOMD and ScenarioMax, read without TensorFlow."""
