"""Networks: resnet, pooling."""
