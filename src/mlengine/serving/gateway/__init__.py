"""The data plane's door: owns the TCP port, answers predictions, passes the rest to the control plane."""

from __future__ import annotations

from mlengine.serving.gateway.process import run
from mlengine.serving.gateway.settings import GatewaySettings, Ports

__all__ = ["GatewaySettings", "Ports", "run"]
