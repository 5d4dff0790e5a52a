"""Files of models: checkpoints, pretrained weights, ONNX."""
