"""Runs TensorZero's embedded gateway as an HTTP server: embedded_gateway.py CONFIG."""

import sys
import threading

import tensorzero

# The gateway stops when this object is dropped.
gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
threading.Event().wait()
