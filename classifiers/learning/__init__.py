"""Learning on the job: a Gaussian process on what the prior gets wrong, under a guard."""

from classifiers.learning.answers import Learning
from classifiers.learning.kernel import Kernel, Point
from classifiers.learning.tenants import Answer, Learned, Status

__all__ = ["Answer", "Kernel", "Learned", "Learning", "Point", "Status"]
