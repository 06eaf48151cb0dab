#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""custom_machine.py BUNDLE: a virtual machine of a size of one's own, whose libvirt domain XML is looked at before and
after it has started; runs the bundle in it, and gives the container a limit while it runs."""
import sys
import xml.etree.ElementTree

import kata

SIZE = {"hypervisor.qemu": {"default_vcpus": 2, "default_memory": 320}}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: custom_machine.py BUNDLE")
    with kata.Context() as ctx, kata.Settings(SIZE) as settings:
        plan = kata.domain_xml(settings, "plan", ctx.root)
        print(f"planned: {len(plan)} bytes of domain XML")
        with ctx.create_sandbox(settings=settings, bound=True) as sandbox:
            sandbox.start()
            domain = xml.etree.ElementTree.fromstring(sandbox.domain_xml())
            for name in ("memory", "vcpu"):
                print(xml.etree.ElementTree.tostring(domain.find(name), "unicode").strip(), flush=True)
            with sandbox.create_container(sandbox.id, sys.argv[1], stdout=sys.stdout, stderr=sys.stderr) as container:
                container.update({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}})
                container.start()
                return container.wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kata.KataError as error:
        sys.exit(f"custom_machine.py: {error}")
