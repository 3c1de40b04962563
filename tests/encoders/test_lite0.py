import torch

from vip_offline.encoders.lite0 import Lite0


def test_the_feature_is_pooled_before_the_classifier() -> None:
    network = Lite0().eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        features = network(images)
        # the classifier on these features is the whole network's output
        torch.testing.assert_close(network.network._fc(features), network.network(images))
    assert features.shape == (2, 1280)
