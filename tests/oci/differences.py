# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases in which katactl does not do as crun on the host does, but as runc, each with the reason: in these runc 1.1 is run
as well, and katactl must agree with it."""

SPECIFICATION = "the runtime specification and runc say 'creating' until the container is created; crun 1.8 says 'created'"
CLEANED_UP = "the runtime specification and runc have poststop hooks run after a failed create as well; crun 1.8 does not"
RUNC_REFUSES = "runc refuses what is no signal; crun 1.8 takes it and sends nothing"
OWN_OPTION = "with runc a mount's own option counts as well; without a rootfsPropagation crun 1.8 makes all mounts private"

DIFFERENCES = {
    "limits: too many open files": "where it cannot start the process, exec ends with 255 as runc's does; crun 1.8 with 1 "
                                   "if it fails itself",
    "signals: refused: 'NOSIGNAL'": RUNC_REFUSES,
    "signals: refused: 'SIG'": RUNC_REFUSES,
    "signals: refused: '1x'": RUNC_REFUSES,
    "mounts: propagation shared": OWN_OPTION,
    "mounts: propagation unbindable": OWN_OPTION,
    "hooks: state of prestart": SPECIFICATION,
    "hooks: state of createRuntime": SPECIFICATION,
    "hooks: state of createContainer": SPECIFICATION,
    "hooks: state of second": SPECIFICATION,
    "failing prestart hook: order": CLEANED_UP,
    "failing createRuntime hook: order": CLEANED_UP,
    "failing createContainer hook: order": CLEANED_UP,
    "hook that takes too long: order": CLEANED_UP,
    "more bad documents: uid of a wrong type": "a text for a number is a mistake; crun 1.8 takes it for 0",
    "bad documents: device of an unknown type": "a type that is not known is a mistake; crun 1.8 makes some device",
}
