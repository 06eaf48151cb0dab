# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was measured, as medians, ratios and a table."""
import statistics

# What is over what; the ratio's name is the row's first word. Nothing where one of both was not measured.
RATIOS = [("cold_over_raw", "cold_s", ("raw_s",)),
          ("cold_over_floor", "cold_s", ("raw_s", "guest_crun_run")),
          ("template_over_cold", "template_s", ("cold_s",)),
          ("pool_over_cold", "pool_s", ("cold_s",)),
          ("pool_over_template", "pool_s", ("template_s",)),
          ("pool_over_crun_in_guest", "pool_s", ("guest_crun_run",)),
          ("cold_over_host_crun", "cold_s", ("host_crun_s",)),
          ("pool_over_host_crun", "pool_s", ("host_crun_s",)),
          ("pool_over_host_runc", "pool_s", ("host_runc_s",)),
          ("exec_over_crun_exec", "exec_s", ("guest_crun_exec",)),
          ("stdout_over_raw", "stdout_mb_s", ("guest_port_mb_s",)),
          ("untar_over_plain_virtiofsd", "files_untar_s", ("guest_untar",)),
          *[(f"files_{name}_over_host", f"files_{name}_s", (f"host_files_{name}_s",))
            for name in ("write", "read", "create", "list", "remove", "untar")],
          *[(f"tcp_{name}_over_host", f"tcp_{name}", (f"host_tcp_{name}",))
            for name in ("send_mb_s", "receive_mb_s", "ping_us")]]
WANTED = {"cold_over_floor": "at most 1.45", "template_over_cold": "at most 0.55", "pool_over_crun_in_guest": "at most 1.4",
          "exec_over_crun_exec": "at most 1.3", "stdout_over_raw": "at least 0.6",
          "untar_over_plain_virtiofsd": "at most 1.1", "template_16_at_once_over_one": "at most 0.7"}
UNITS = {"mb_s": "MB/s", "us": "us"}


class Figures:
    def __init__(self):
        self.samples, self.ratios, self.at_once = {}, {}, {}

    def add(self, name, value):
        """value: one, a list of them, or None for what could not be measured."""
        if value is not None:
            self.samples.setdefault(name, []).extend(value if isinstance(value, list) else [value])

    def add_all(self, prefix, values, suffix=""):
        for name, value in values.items():
            self.add(prefix + name + suffix, value)

    def compare(self):
        """Fills the ratios."""
        middle = {name: statistics.median(values) for name, values in self.samples.items()}
        for name, over, under in RATIOS:
            if over in middle and all(part in middle for part in under):
                self.ratios[name] = middle[over] / sum(middle[part] for part in under)
        for way, seconds in self.at_once.items():
            self.ratios.update({f"{way}_{count}_at_once_over_one": each / seconds[1] for count, each in seconds.items()
                                if 1 in seconds and count > 1})

    def print(self):
        for name, values in self.samples.items():
            unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "s")
            print(f"{name:26s} {spread(values)} {unit}")
        for way, seconds in self.at_once.items():
            for count, each in seconds.items():
                print(f"{f'{count} at once, {way}':26s} {each:9.3f} s each")
        print("ratios:")
        for name, ratio in self.ratios.items():
            wanted = f"   {WANTED[name]} wanted" if name in WANTED else ""
            print(f"  {name:30s} {ratio:6.2f}{wanted}")


def spread(samples):
    return f"{statistics.median(samples):9.3f}  ({min(samples):.3f} to {max(samples):.3f})"
