"""What metrics mean, in a sentence each, for the readers of a report."""

MEANINGS = {
    "accuracy": "share of labels that are predicted correctly",
    "balanced_accuracy": (
        "mean over a label's values of the share of their images that are predicted correctly, "
        "however rare the value is: guessing has 1/2 for a binary label, 1/K for K classes"
    ),
    "majority_accuracy": "accuracy of always predicting the most frequent value",
    "average_precision": (
        "area under the curve of precision against recall: 1 if all images with a value are "
        "ranked before those without, the prevalence of the value if they are ranked at random"
    ),
    "auroc": (
        "area under the receiver operating characteristic: the probability that an image with a "
        "value is ranked before one without; guessing has 1/2"
    ),
    "calibration_error": (
        "how far the predicted probabilities are from the shares of correct predictions, on "
        "average: 0 if of the predictions at 80 % four in five are correct"
    ),
    "r_squared": (
        "share of the variance of continuous labels that is explained: 1 is perfect, 0 is no "
        "better than predicting the mean"
    ),
    "reconstruction_error": (
        "mean absolute difference between an image and its reconstruction, by pixel and color; "
        "from black to white it is 1"
    ),
    "bound": (
        "lower bound on the log-likelihood of an image with its labels (ELBO), in nats per image: "
        "higher is better. It depends on the size of images and the likelihood scale, so that "
        "only runs that share them can be compared"
    ),
    "seconds_per_epoch": "duration of the training steps of one pass over the training images",
    "sensitivity": "share of the images with the label that are predicted to have it",
    "specificity": "share of the images without the label that are predicted not to have it",
    "prevalence": "share of the images that have the label",
    "num_images": "number of test images for which the label is known",
    "mean_absolute_error": "mean absolute difference from the true value, in the label's unit",
    "baseline_mean_absolute_error": "the same if the mean were always predicted",
}
