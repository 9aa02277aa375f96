"""Pairs of birds of one species, with the parts that both show."""

from collections import defaultdict
from itertools import permutations
from pathlib import Path

from lore_mm.registry import DATASETS

from .pair_tables import numbers, read_table
from .pairs import PairDataset
from .sampling import check_part, check_seed, seeded_order

_PAIR = ('source_image_id', 'target_image_id')


@DATASETS.register_module()
class CUBParts(PairDataset):
    """Pairs from the part annotations of CUB-200-2011.

    Both images show the same species; key points are the parts that are
    visible in both (``parts/part_locs.txt``), the box is the target's of
    ``bounding_boxes.txt``. The category is the species.

    Args:
        data_root (str): Folder ``CUB_200_2011``, the whole set or a part.
        pairs_file (str, optional): CSV file, absolute or below
            ``data_root``, with the columns ``source_image_id`` and
            ``target_image_id``. Defaults to None: pairs are drawn.
        split (str): Split to draw from, ``'train'`` or ``'test'``. Defaults
            to ``'test'``.
        pairs_per_class (int, optional): Ordered pairs to draw for each
            species. Defaults to None, all.
        seed (int): Seed of the draw. Defaults to 0.
        min_parts (int): Least number of parts that both images of a drawn
            pair show. Defaults to 6.
        **kwargs: See :class:`PairDataset`.

    Raises:
        FileNotFoundError: If a file or an image is missing.
        ValueError: If a file is malformed, an image id is unknown, or the
            images of a pair show different species; see also
            :class:`PairDataset`.
    """

    def __init__(
        self,
        data_root: str,
        pairs_file: str | None = None,
        split: str = 'test',
        pairs_per_class: int | None = None,
        seed: int = 0,
        min_parts: int = 6,
        **kwargs,
    ) -> None:
        if min_parts < 1:
            raise ValueError(f'min_parts must be >= 1, got {min_parts}.')
        self.pairs_file = pairs_file
        self.split = check_part(split, ('train', 'test'))
        self.pairs_per_class = pairs_per_class
        self.seed = check_seed(seed)
        self.min_parts = min_parts
        super().__init__(data_root, **kwargs)

    def load_pairs(self) -> list[dict]:
        """Read the annotations and put pairs together."""
        root = Path(self.data_root)
        images = {i: v[0] for i, v in self._rows('images.txt', 1)}
        species = {i: v[0] for i, v in self._rows('image_class_labels.txt', 1)}
        names = {i: v[0] for i, v in self._rows('classes.txt', 1)}
        boxes = {
            i: list(map(float, v))
            for i, v in self._rows('bounding_boxes.txt', 4)
        }
        parts: dict[int, dict] = defaultdict(dict)
        for image, (part, x, y, visible) in self._rows('parts/part_locs.txt'):
            if visible != '0':
                parts[image][part] = (float(x), float(y))
        if self.pairs_file is None:
            where = root / 'parts' / 'part_locs.txt'
            chosen = self._drawn(images, species, parts)
        else:
            where = root / self.pairs_file
            chosen = self._listed(where, images, species)
        pairs = []
        for one, other in chosen:
            both = [part for part in parts[one] if part in parts[other]]
            x, y, width, height = boxes[other]
            pairs.append(
                dict(
                    source=str(root / 'images' / images[one]),
                    target=str(root / 'images' / images[other]),
                    category=names[int(species[one])],
                    source_points=[parts[one][part] for part in both],
                    target_points=[parts[other][part] for part in both],
                    target_box=[x, y, x + width, y + height],
                    annotation=str(where),
                )
            )
        return pairs

    def _rows(
        self, name: str, number: int = 4
    ) -> list[tuple[int, tuple[str, ...]]]:
        """Lines of a table of CUB: an id and ``number`` values."""
        path = Path(self.data_root, name)
        if not path.is_file():
            raise FileNotFoundError(
                f"'{path}' does not exist; data_root must be the folder "
                f'CUB_200_2011.'
            )
        rows = []
        for line, text in enumerate(path.read_text('utf-8').splitlines(), 1):
            cells = text.split(maxsplit=number)
            if not cells:
                continue
            if len(cells) != number + 1 or not cells[0].isdigit():
                raise ValueError(
                    f"'{path}', line {line}: expected an id and {number} "
                    f'values, got {text!r}.'
                )
            if number > 1:
                keys = [str(i) for i in range(1, number + 1)]
                row = dict(zip(keys, cells[1:], strict=True))
                numbers(row, keys, path, line)  # raises
            rows.append((int(cells[0]), tuple(cells[1:])))
        return rows

    def _listed(
        self, path: Path, images: dict, species: dict
    ) -> list[tuple[int, int]]:
        """Pairs of the CSV file."""
        chosen = []
        for line, row in read_table(path, _PAIR):
            pair = tuple(map(int, numbers(row, _PAIR, path, line)))
            for image in pair:
                if image not in images:
                    raise ValueError(
                        f"'{path}', line {line}: image id {image} is not in "
                        f'images.txt.'
                    )
            if species[pair[0]] != species[pair[1]]:
                raise ValueError(
                    f"'{path}', line {line}: images {pair[0]} and {pair[1]} "
                    f'show different species.'
                )
            chosen.append(pair)
        return chosen

    def _drawn(
        self, images: dict, species: dict, parts: dict
    ) -> list[tuple[int, int]]:
        """Ordered pairs of each species of the split, drawn by the seed."""
        flag = '1' if self.split == 'train' else '0'
        members = defaultdict(list)
        for image, (part,) in self._rows('train_test_split.txt', 1):
            if part == flag:
                members[int(species[image])].append(image)
        chosen = []
        for _, found in sorted(members.items()):
            pairs = [
                (one, other)
                for one, other in permutations(found, 2)
                if len(parts[one].keys() & parts[other]) >= self.min_parts
            ]
            if self.pairs_per_class is not None:
                keys = [f'{images[a]}\n{images[b]}' for a, b in pairs]
                order = seeded_order(keys, self.seed, 'pairs')
                pairs = [pairs[i] for i in order[: self.pairs_per_class]]
            chosen += pairs
        return chosen
