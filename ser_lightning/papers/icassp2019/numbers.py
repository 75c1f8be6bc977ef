"""The published numbers of Dai, Wu, Li, Wu, Jia, Meng: "Learning discriminative features from spectrograms using
center loss for speech emotion recognition", ICASSP 2019: settings 1-4, Fig. 3, Tables 1 and 2.

UA and WA in percent, each the mean of 25 runs on IEMOCAP; the paper gives no spread. Confusions are shares of the
true class, as printed.
"""

from dataclasses import dataclass

CITATION = "Dai et al., ICASSP 2019"

# The corpus and the protocol that these numbers hold for.
CORPUS = "iemocap"
PROTOCOL = "paper"

# Training steps by input, the author's.
STEPS = {"logmel": 3520, "logstft": 2920}
# Settings that these steps were made with.
TRAINING = {"batching.size": 32, "optimizer.learning_rate": 3e-4, "features.max_seconds": 14}

# Utterances of each class, in the paper's order.
COUNTS = {"neu": 1708, "ang": 1103, "hap": 1636, "sad": 1084}
CLASSES = tuple(COUNTS)

# What Fig. 3 holds fixed while the other is varied; log-Mel in both.
LAM = 0.3
ALPHA = 0.5


@dataclass(frozen=True)
class Setting:
    """One of settings 1-4; alpha is None where lambda is 0. `table` names its confusion matrix."""

    number: int
    features: str
    lam: float
    alpha: float | None
    ua: float
    wa: float
    table: str


SETTINGS = (
    Setting(1, "logmel", 0.0, None, 63.80, 61.83, "1a"),
    Setting(2, "logmel", 0.3, 0.5, 66.86, 65.40, "1b"),
    Setting(3, "logstft", 0.0, None, 60.98, 58.93, "2a"),
    Setting(4, "logstft", 0.3, 0.5, 65.13, 62.96, "2b"),
)

# Fig. 3(a): alpha -> (UA, WA) at lambda = 0.3.
FIG3A = {
    0.1: (66.76, 65.00),
    0.3: (66.85, 65.33),
    0.5: (66.86, 65.40),
    0.7: (66.96, 65.34),
    0.9: (66.41, 64.71),
}

# Fig. 3(b): lambda -> (UA, WA) at alpha = 0.5.
FIG3B = {
    0.0: (63.80, 61.83),
    0.003: (64.81, 62.99),
    0.03: (65.71, 63.98),
    0.3: (66.86, 65.40),
    3.0: (60.08, 56.85),
}

# Tables 1 (log-Mel) and 2 (log-STFT); (a) lambda = 0, (b) lambda = 0.3. Rows true, columns recognised, as CLASSES.
CONFUSIONS = {
    "1a": (
        (0.575, 0.095, 0.164, 0.166),
        (0.119, 0.691, 0.155, 0.035),
        (0.211, 0.162, 0.511, 0.115),
        (0.138, 0.026, 0.060, 0.776),
    ),
    "1b": (
        (0.637, 0.067, 0.167, 0.127),
        (0.108, 0.705, 0.167, 0.020),
        (0.219, 0.131, 0.556, 0.094),
        (0.128, 0.025, 0.070, 0.777),
    ),
    "2a": (
        (0.544, 0.093, 0.185, 0.177),
        (0.127, 0.681, 0.167, 0.025),
        (0.216, 0.186, 0.476, 0.122),
        (0.161, 0.039, 0.062, 0.737),
    ),
    "2b": (
        (0.573, 0.073, 0.196, 0.157),
        (0.103, 0.720, 0.153, 0.022),
        (0.205, 0.161, 0.518, 0.114),
        (0.125, 0.028, 0.053, 0.793),
    ),
}


def published(features: str, lam: float, alpha: float | None) -> tuple[float, float] | None:
    """The paper's UA and WA of a configuration, where it has them; with lambda 0 alpha plays no part.

    >>> published("logmel", 0.3, 0.7), published("logstft", 0.0, None), published("logmel", 1.0, 0.5)
    ((66.96, 65.34), (60.98, 58.93), None)
    """
    pairs = {(setting.features, setting.lam, setting.alpha): (setting.ua, setting.wa) for setting in SETTINGS}
    pairs |= {("logmel", LAM, value): scores for value, scores in FIG3A.items()}
    pairs |= {("logmel", value, ALPHA if value else None): scores for value, scores in FIG3B.items()}
    return pairs.get((features, lam, alpha if lam else None))
