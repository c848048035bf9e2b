"""`make house`: prints the measures of the code's structure and the limits that tests hold."""

from tests.house.graph import graph_of, layers_of, measure
from tests.house.limits import APP_LINES, CALLBACKS, CONSTRUCTOR_PARAMETERS, LIMITS
from tests.house.measures import callbacks, long_constructors, sources
from tests.house.sizes import lines_in, longest_files, longest_functions

SHOWN = 10


def print_graph(package: str) -> None:
    """Print a package's figures and its parts by layer, the highest first."""
    figures, limit = measure(package), LIMITS[package]
    print(
        f"{package}: {figures.parts} parts (at most {limit.parts}), {figures.layers} layers", end=""
    )
    print(f" (at most {limit.layers}), {figures.edges} edges, cycles: {figures.cycles or 'none'}")
    layers = layers_of(graph_of(package))
    for number in sorted(set(layers.values()), reverse=True):
        print(f"  {number:2}  {' | '.join(sorted(p for p, n in layers.items() if n == number))}")


def main() -> None:
    """Print everything."""
    for package in LIMITS:
        print_graph(package)
    print(f"firmware/app: {lines_in('firmware/app')} lines (at most {APP_LINES})")
    count = sum(len(one.callbacks) for one in callbacks(sources("firmware")))
    print(f"callback parameters in firmware/: {count} (at most {CALLBACKS})")
    longer = long_constructors(sources("firmware"), most=CONSTRUCTOR_PARAMETERS)
    names = ", ".join(one.name for one in longer) or "none"
    print(f"constructors with more than {CONSTRUCTOR_PARAMETERS} parameters: {names}")
    print("longest files (no limit):")
    for size in longest_files(SHOWN):
        print(f"  {size.lines:4}  {size.name}")
    print("longest functions (no limit):")
    for size in longest_functions(SHOWN):
        print(f"  {size.lines:4}  {size.name}")


if __name__ == "__main__":
    main()
