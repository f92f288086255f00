"""Adds the YAMLs of loaded extensions to those that Hydra finds.

Hydra finds plugins in this namespace package alone, and imports them whenever it starts: nothing
heavy is imported at the top.
"""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class ExtensionsSearchPath(SearchPathPlugin):
    """Appends each extension's folder `conf`, so that options of this package come first."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Appends the folders."""
        from melanoma_exp.system.extensions import loading

        for folder in loading.conf_folders():
            search_path.append("melanoma_exp extension", f"file://{folder}")
