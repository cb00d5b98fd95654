"""Certificate signing requests: approved for kubelets, signed for Kubernetes' own signers, cleaned up.

request     what a request asks for
rules       what each signer accepts
issue       the certificate
approver, signer, cleaner    the three controllers
"""

from knarr.controllers.certificates.approver import CSRApprovingController
from knarr.controllers.certificates.cleaner import CSRCleanerController
from knarr.controllers.certificates.signer import CSRSigningController

__all__ = ["CSRApprovingController", "CSRCleanerController", "CSRSigningController"]
