"""Score a folder of masks: python tools/analysis/score_davis.py FOLDER.

The folder is in the layout of DAVIS's results, <sequence>/00000.png, from any
program. Prints the seven figures and writes both tables of the official
evaluation to the folder, or to --out. Masks of 0 and 255: --year 2016.
"""

import argparse
import os
from pathlib import Path

from lore_mm.datasets import DAVISDataset
from lore_mm.engine.failures import run_main
from lore_mm.evaluation.metrics.davis_folder import score_folder
from lore_mm.evaluation.metrics.davis_metric import davis_figures, write_csv
from lore_mm.utils.outputs import check_folder


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Score masks of DAVIS')
    parser.add_argument('folder', help='<sequence>/00000.png')
    parser.add_argument(
        '--data-root',
        default=os.environ.get('DAVIS_ROOT', 'data/DAVIS'),
        help='default: DAVIS_ROOT, or data/DAVIS',
    )
    parser.add_argument('--year', type=int, default=2017)
    parser.add_argument('--split', default='val')
    parser.add_argument('--ann-dir', help='folder below Annotations')
    parser.add_argument('--sequences', nargs='+', help='only these')
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--out', help='folder of the tables; default: FOLDER')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not Path(args.folder).is_dir():
        raise FileNotFoundError(f"there is no folder '{args.folder}'.")
    out = check_folder(args.out or args.folder, 'tables', 'give --out')
    dataset = DAVISDataset(
        args.data_root,
        year=args.year,
        split=args.split,
        ann_dir=args.ann_dir,
        sequences=args.sequences,
    )
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    scores = score_folder(args.folder, records, args.processes)
    for name, value in davis_figures(list(scores.values())).items():
        print(f'{name:10s} {value:.6f}')
    write_csv(out, scores)


if __name__ == '__main__':
    run_main(main)
