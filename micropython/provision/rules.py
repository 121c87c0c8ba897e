"""Import the board's own modules on the host, which judges settings by them."""

from __future__ import annotations
import __future__

from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Sequence

from .manifest import device_files

if TYPE_CHECKING:
    from types import CodeType

_DEVICE_PACKAGE = "sensorvision_device"


class _Loader(SourceFileLoader):
    """Compiles a module as a board does, which never evaluates an annotation.

    Python 3.8 could not: they are written as of 3.10.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source, and not take what an installer has compiled of it."""
        path = self.get_filename(fullname)
        flags = __future__.annotations.compiler_flag
        code: CodeType = compile(
            self.get_data(path), path, "exec", flags, dont_inherit=True
        )
        return code


class _Finder(MetaPathFinder):
    """Finds the board's modules in the directories that its package is spread over."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module of the board's, and leave all others to who is next."""
        if not fullname.startswith(_DEVICE_PACKAGE + "."):
            return None
        for directory in path or ():
            finder = FileFinder(directory, (_Loader, [".py"]))
            if spec := finder.find_spec(fullname, target):
                return spec
        return None


def device_module(name: str) -> ModuleType:
    """Import a module of the board's package, which here is spread over two directories."""
    if _DEVICE_PACKAGE not in sys.modules:
        spec = ModuleSpec(_DEVICE_PACKAGE, None, is_package=True)
        files = device_files()
        spec.submodule_search_locations = [
            str(files["sensorvision/settings.py"].parent),
            str(files["sensorvision/protocol.py"].parent),
        ]
        sys.modules[_DEVICE_PACKAGE] = module_from_spec(spec)
        sys.meta_path.insert(0, _Finder())
        # Of the firmware, some of them import this one.
        firmware = ModuleType("micropython")
        firmware.const = lambda value: value  # type: ignore[attr-defined]
        sys.modules.setdefault(firmware.__name__, firmware)
    return import_module(f"{_DEVICE_PACKAGE}.{name}")
