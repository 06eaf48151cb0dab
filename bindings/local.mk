# SPDX-License-Identifier: LGPL-2.1-or-later
# Python needs no building: pip installs it from its folder.
EXTRA_DIST += \
	bindings/python/README.md bindings/python/pyproject.toml \
	bindings/python/kata/__init__.py bindings/python/kata/_library.py bindings/python/kata/agent.py \
	bindings/python/kata/container.py bindings/python/kata/context.py bindings/python/kata/errors.py \
	bindings/python/kata/process.py bindings/python/kata/py.typed bindings/python/kata/sandbox.py \
	bindings/python/kata/settings.py bindings/python/kata/streams.py
