"""The package keeps its own rules: ways of imports, a quick start, sizes, docstrings, dependencies."""

import ast
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import firstpassage

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "firstpassage"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# The rooms from left to right; each may import those to its left. Three files lie below all.
GROUND = {"errors", "backend", "seeds"}
RANK = dict.fromkeys(GROUND, 0) | {
    "densities": 1,
    "likelihood": 2,
    "models": 3,
    "estimators": 4,
    "bridges": 5,
    "diagnostics": 5,
    "plots": 6,
    "pipeline": 7,
    "cli": 8,
    "__main__": 9,
    "__init__": 9,  # the public names, loaded lazily
}

# Imports inside functions that go against the arrow: (file, room it reaches).
BACKWARD = {
    ("_conversions.py", "bridges"),  # distribution(), to_hssm(), to_numpyro()
    ("models/model.py", "estimators"),  # simulator()
}

# Libraries that only some rooms know, by the start of a file's path.
KNOWN_ONLY_BY = {
    "bayesflow": ("estimators/",),
    "keras": ("estimators/",),
    "pymc": ("bridges/",),
    "pytensor": ("bridges/",),
    "matplotlib": ("plots/",),
    "typer": ("cli.py", "_commands.py", "_terminal.py", "pipeline/"),
    "rich": ("cli.py", "_console.py", "pipeline/"),
}

# What other files may import of these inside functions.
LAZY = {
    ("backend.py", "bayesflow"),  # require_jax()
    ("backend.py", "keras"),
    ("bridges/_neural.py", "bayesflow"),  # its NeuralDistribution, made safe
    ("_pymc_priors.py", "pymc"),  # priors that users wrote with it
    ("_pymc_priors.py", "pytensor"),
}

# Private files beside the rooms, and the room that each is a part of.
PARTS = dict.fromkeys(
    [
        *["_importance", "_mode", "_nuts", "_nuts_lanes", "_nuts_many", "_pairs", "_sampling", "_smc", "_spaces"],
        *["_convergence", "_conversions", "_draws", "_priors", "_pymc_priors", "_subjects", "_sums", "_values"],
        "_weights",
    ],
    "likelihood",
) | {"_commands": "cli", "_console": "cli", "_lock": "errors", "_terminal": "cli"}

HEAVY = [
    *["arviz", "bayesflow", "blackjax", "dask", "distributed", "hssm", "jax", "keras", "matplotlib", "numba"],
    *["numpyro", "nutpie", "pandas", "pymc", "pytensor", "scipy", "xarray"],
]

# What users call, and so must stay: each is public at the root as soon as it is written.
CONTRACT = {
    *["Model", "Parameter", "NPE", "NLE", "NRE", "ddm", "foraging", "lif", "observe", "priors"],
    *["save", "load", "pretrained"],
}


@dataclass(frozen=True)
class Import:
    """One import statement's target: a dotted module, where it stands, and whether inside a function."""

    path: str
    line: int
    module: str
    lazy: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def room(self) -> str:
        """The room of this package that is imported; the package itself counts as `__init__`."""
        return room_of((self.module.split(".") + ["__init__"])[1])

    def __str__(self) -> str:
        return f"src/firstpassage/{self.path}:{self.line} imports {self.module}"


def room_of(name: str) -> str:
    return PARTS.get(name, name)


def own_room(path: str | Path) -> str:
    return room_of(Path(path).parts[0].removesuffix(".py"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def targets(node: ast.Import | ast.ImportFrom, file: Path) -> list[str]:
    """Return the absolute modules that one import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = list(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    above = package[: len(package) - node.level] if node.level else []
    module = ".".join([*above, *([node.module] if node.module else [])])
    if module == "firstpassage":  # `from firstpassage import plots`
        return [f"firstpassage.{alias.name}" for alias in node.names]
    return [module]


def imports_below(node: ast.AST, file: Path, *, lazy: bool = False) -> Iterator[Import]:
    path = file.relative_to(PACKAGE).as_posix()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for module in targets(child, file):
                yield Import(path, child.lineno, module, lazy)
        elif is_type_checking(child):
            for branch in child.orelse:
                yield from imports_below(branch, file, lazy=lazy)
        else:
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_below(child, file, lazy=inside)


TREES = {file: ast.parse(file.read_text()) for file in SOURCES}
IMPORTS = [found for file, tree in TREES.items() for found in imports_below(tree, file)]
INTERNAL = [found for found in IMPORTS if found.top == "firstpassage"]
EXTERNAL = [found for found in IMPORTS if found.top not in {"firstpassage", "__future__"} | sys.stdlib_module_names]


def listed(offences: list) -> str:
    return "\n".join(map(str, offences))


def test_every_file_is_in_a_room():
    strangers = [file.relative_to(PACKAGE) for file in SOURCES if own_room(file.relative_to(PACKAGE)) not in RANK]
    assert not strangers, f"DESIGN names no such room: {listed(strangers)}"


def test_imports_follow_the_arrow():
    def against(found: Import) -> bool:
        here = own_room(found.path)
        if (found.lazy and (found.path, found.room) in BACKWARD) or here == found.room:
            return False
        return RANK.get(found.room, 9) >= RANK.get(here, 0) and not {here, found.room} <= GROUND

    offences = [found for found in INTERNAL if against(found)]
    assert not offences, listed(offences)


def test_tables_of_exceptions_have_no_dead_rows():
    dead = BACKWARD - {(found.path, found.room) for found in INTERNAL if found.lazy}
    dead |= LAZY - {(found.path, found.top) for found in EXTERNAL if found.lazy}
    dead |= {name for name in PARTS if not (PACKAGE / f"{name}.py").exists()}
    assert not dead, f"no longer needed: {dead}"


def test_libraries_stay_in_their_rooms():
    def stray(found: Import) -> bool:
        if found.lazy and (found.path, found.top) in LAZY:
            return False
        return found.top in KNOWN_ONLY_BY and not found.path.startswith(KNOWN_ONLY_BY[found.top])

    offences = [found for found in EXTERNAL if stray(found)]
    assert not offences, listed(offences)


CHECK_LOADED = f"""
import sys
loaded = sorted({set(HEAVY)!r} & set(sys.modules))
assert not loaded, f"loaded at the start: {{loaded}}"
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy():
    run_python("import firstpassage\n" + CHECK_LOADED)


def test_import_takes_under_half_a_second():
    code = "import time; start = time.perf_counter(); import firstpassage; print(time.perf_counter() - start)"
    seconds = statistics.median(float(run_python(code)) for _ in range(3))
    assert seconds < 0.5


def test_help_loads_nothing_heavy():
    code = """
import sys
from firstpassage.cli import main
sys.argv = ["firstpassage", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert "Usage" in run_python(code + CHECK_LOADED)


def test_all_is_alphabetical():
    assert list(firstpassage.__all__) == sorted(set(firstpassage.__all__), key=lambda name: (name.casefold(), name))


def test_contract_is_public_as_soon_as_it_is_written():
    written = {node.name for tree in TREES.values() for node in public_definitions(tree)}
    missing = CONTRACT & written - set(firstpassage.__all__)
    assert not missing, sorted(missing)


def test_every_name_in_all_resolves():
    for name in firstpassage.__all__:
        getattr(firstpassage, name)


def test_nothing_public_is_missing_from_all():
    defined = {
        name
        for name, value in vars(firstpassage).items()
        if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith("firstpassage")
    }
    missing = defined - set(firstpassage.__all__)
    assert not missing, sorted(missing)


def test_dir_lists_all():
    assert set(firstpassage.__all__) <= set(dir(firstpassage))


def test_file_names_say_an_idea():
    vague = [file for file in SOURCES if file.name in {"utils.py", "helpers.py", "base.py"}]
    assert not vague, listed(vague)


def test_nothing_prints_below_cli_and_nothing_asserts():
    def offends(file: Path, node: ast.AST) -> bool:
        prints = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        return isinstance(node, ast.Assert) or (prints and file != PACKAGE / "cli.py")

    offences = [
        f"{file}:{node.lineno}" for file, tree in TREES.items() for node in ast.walk(tree) if offends(file, node)
    ]
    assert not offences, listed(offences)


def test_files_are_at_most_400_lines():
    lengths = {file: len(file.read_text().splitlines()) for file in SOURCES}
    long = [f"{file}: {length}" for file, length in lengths.items() if length > 400]
    assert not long, listed(long)


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, text: list[str]) -> int:
    """Count the lines of a function's body that are neither its docstring, nor blank, nor comment."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    lines = (line.strip() for line in text[body[0].lineno - 1 : body[-1].end_lineno])
    return sum(bool(line) and not line.startswith("#") for line in lines)


def test_functions_are_at_most_35_lines():
    long = []
    for file, tree in TREES.items():
        text = file.read_text().splitlines()
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        counts = [(function, code_lines(function, text)) for function in functions]
        long += [f"{file}:{function.lineno} {function.name}: {count}" for function, count in counts if count > 35]
    assert not long, listed(long)


def public_definitions(parent: ast.Module | ast.ClassDef) -> Iterator[ast.AST]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node)


def test_everything_public_has_a_docstring():
    bare = [str(file) for file, tree in TREES.items() if not ast.get_docstring(tree)]
    for file, tree in TREES.items():
        bare += [
            f"{file}:{node.lineno} {node.name}" for node in public_definitions(tree) if not ast.get_docstring(node)
        ]
    assert not bare, listed(bare)


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()}
DECLARED = CORE + [requirement for extra in EXTRAS.values() for requirement in extra]
PINS = {
    canonicalize_name(name): version
    for name, _, version in (
        line.split("#")[0].strip().partition("==") for line in (ROOT / "requirements.txt").read_text().splitlines()
    )
    if name
}


def distributions_of(found: Import) -> set[str]:
    """Return the canonical names of the distributions that provide an imported module."""
    return {canonicalize_name(name) for name in PROVIDERS.get(found.top, [found.top])}


PROVIDERS = metadata.packages_distributions()


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def test_imported_packages_are_declared():
    offences = [found for found in EXTERNAL if not distributions_of(found) & names(DECLARED)]
    assert not offences, listed(offences)


def test_the_core_works_without_extras():
    """At module level, only core dependencies are imported."""
    offences = [found for found in EXTERNAL if not found.lazy and not distributions_of(found) & names(CORE)]
    assert not offences, listed(offences)


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_installed_versions_are_in_the_declared_ranges(requirement):
    version = installed_version(requirement.name)
    if version is None:
        assert requirement not in CORE, "a core dependency is not installed"
    else:
        assert requirement.specifier.contains(version, prereleases=True), version


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_pins_are_in_the_declared_ranges(requirement):
    pin = PINS.get(canonicalize_name(requirement.name))
    if pin is not None:
        assert requirement.specifier.contains(pin, prereleases=True), pin


def test_pins_cover_the_core_and_the_extras_that_make_test_needs():
    needed = names(CORE + EXTRAS["hssm"] + EXTRAS["dev"])
    assert needed <= set(PINS), sorted(needed - set(PINS))


def test_pins_are_exact_and_name_no_path():
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    loose = [line for line in lines if line and ("==" not in line or "@" in line or "/" in line)]
    assert not loose, listed(loose)
