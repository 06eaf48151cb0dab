#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every public call, flag, status and error code is there in each language's binding, or is listed here with the reason
why not; each example is there in each language, too."""
import ast
import glob
import os
import re
import sys

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

# Call -> why the language does without it.
COUNTED = {f"kata_{kind}_ref": "the binding counts the holders of an object itself"
           for kind in ("agent", "container", "events", "context", "process", "sandbox", "settings")}
NOT_IN_PYTHON = {**COUNTED}
NOT_IN_GO = {**COUNTED}
EXAMPLE_LINES = 120


def read(*patterns):
    text = ""
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(TOP, pattern))):
            with open(path, encoding="utf-8") as file:
                text += file.read()
    return text


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def public_calls():
    return re.findall(r"\b(kata_\w+);", without_comments(read("lib/libkata.syms")))


def public_constants():
    """Name -> value: members of enums, and flags."""
    headers = without_comments(read("include/kata/*.h"))
    found = {name: int(value) for name, value in re.findall(r"\b(KATA_\w+) = (\d+)", headers)}
    found.update((name, 1 << int(bit)) for name, bit in re.findall(r"#define (KATA_\w+) \(1u << (\d+)\)", headers))
    return found


def struct_members():
    body = re.search(r"typedef struct kata_process_io \{(.*?)\}", without_comments(read("include/kata/process.h")), re.S)
    return re.findall(r"(\w+);", body.group(1))


def check_listed(language, calls, missing, reasons):
    problems = [f"{language} has no {name}(): wrap it, or say why not in check-parity.py" for name in missing
                if name not in reasons]
    problems += [f"check-parity.py excuses {name}() in {language}, which {why}" for name in reasons
                 for why in (["does not exist"] if name not in calls else
                             ["is there" if name not in missing else ""]) if why]
    return problems


# ---- Python ----

def python_prototypes(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "PROTOTYPES":
            return {key.value: len(value.elts[1].elts) for key, value in zip(node.value.keys, node.value.values)}
    sys.exit("bindings/python/kata/_library.py has no PROTOTYPES")


def parameters_of_headers():
    """Call -> number of its parameters."""
    headers = without_comments(read("include/kata/*.h", "include/kata/version.h.in"))
    found = {}
    for name, parameters in re.findall(r"\b(kata_\w+)\s*\(([^()]*)\)\s*;", headers):
        found[name] = 0 if parameters.strip() == "void" else parameters.count(",") + 1
    return found


def check_python(calls, constants):
    library = read("bindings/python/kata/_library.py")
    source = read("bindings/python/kata/*.py")
    prototypes = python_prototypes(ast.parse(library))
    in_headers = parameters_of_headers()
    problems = [f"bindings/python: {name}() takes {in_headers.get(name)} arguments, not {count}"
                for name, count in prototypes.items() if in_headers.get(name) != count]
    # Once in the table of prototypes, and once more where it is called.
    used = {name for name in calls if name in prototypes and source.count(f'"{name}"') > 1}
    problems += check_listed("Python", calls, [name for name in calls if name not in used], NOT_IN_PYTHON)
    for name, value in constants.items():
        if name == "KATA_ERR_NONE":
            continue
        short = re.sub(r"^KATA_(ERR_|SANDBOX_|CONTAINER_|EVENTS_)?", "", name)
        wanted = rf"^    code, name = {value}, \"{short.lower().replace('_', '-')}\"" if name.startswith("KATA_ERR_") \
            else rf"^ *{short} = ({value}|1 << {value.bit_length() - 1})$"
        if not re.search(wanted, source, flags=re.M):
            problems.append(f"Python has no {name} = {value}")
    found = re.search(r"_fields_ = \[(.*?)\]\n", library, re.S).group(1)
    if re.findall(r'"(\w+)"', found) != struct_members():
        problems.append("Python's ProcessIo differs from kata_process_io")
    return problems


def check_python_words():
    """What is public says what it is for, what it takes and what it returns."""
    problems = []
    for path in sorted(glob.glob(os.path.join(TOP, "bindings/python/kata/[a-z]*.py"))):
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        exported = {element.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
                    for element in node.value.elts}
        for node in tree.body:
            if getattr(node, "name", "") not in exported:
                continue
            members = [member for member in getattr(node, "body", []) if isinstance(member, ast.FunctionDef)
                       and not member.name.startswith("_")] if isinstance(node, ast.ClassDef) else []
            for one in [node] + members:
                name = f"{os.path.basename(path)}: {node.name}{'' if one is node else '.' + one.name}"
                if ast.get_docstring(one) is None:
                    problems.append(f"{name} has no docstring")
                if isinstance(one, ast.FunctionDef):
                    arguments = one.args.args[1 if one in members else 0:] + one.args.kwonlyargs
                    if one.returns is None or any(argument.annotation is None for argument in arguments):
                        problems.append(f"{name} has no type hints")
    return problems


# ---- Go ----

def check_go_words():
    """go doc has a sentence for whatever has a capital letter."""
    problems = []
    for path in sorted(glob.glob(os.path.join(TOP, "bindings/go/kata/*.go"))):
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        problems += [f"{os.path.basename(path)}: {line}: has no comment" for above, line in zip([""] + lines, lines)
                     if re.match(r"(func (\(\w+ \*?[A-Z]\w*\) )?|type |var |const )[A-Z]", line)
                     and not above.startswith("//") and not path.endswith("_test.go")]
    return problems


def check_go(calls, constants):
    source = read("bindings/go/kata/*.go")
    missing = [name for name in calls if not re.search(rf"\bC\.{name}\b|[^.\w]{name}\(", source)]
    problems = check_listed("Go", calls, missing, NOT_IN_GO)
    return problems + [f"Go has no {name}" for name in constants
                       if name != "KATA_ERR_NONE" and not re.search(rf"\bC\.{name}\b", source)]


def check_examples():
    """Each example in each language, short enough to be read at once."""
    problems = []
    topics = sorted(os.path.basename(path)[:-2] for path in glob.glob(os.path.join(TOP, "examples/*.c")))
    for topic in topics:
        for path in (f"examples/{topic}.c", f"examples/{topic.replace('-', '_')}.py", f"examples/go/{topic}/main.go"):
            lines = read(path).count("\n")
            if not 0 < lines < EXAMPLE_LINES:
                problems.append(f"{path} has {lines} lines; there must be one, of less than {EXAMPLE_LINES}")
    return problems if len(topics) >= 7 else problems + [f"only {len(topics)} examples"]


def main():
    calls, constants = public_calls(), public_constants()
    problems = check_python(calls, constants) + check_python_words() + check_go(calls, constants) + check_go_words() + check_examples()
    print("\n".join(problems) if problems else f"{len(calls)} calls, {len(constants)} constants")
    return 1 if problems or len(calls) < 70 or len(constants) < 25 else 0


if __name__ == "__main__":
    sys.exit(main())
