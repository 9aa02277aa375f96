"""Write the middle frame of every video of a folder as a JPEG.

    python tools/dataset_converters/middle_frames.py UCF-101 UCF-101-midframes

For UCF101, whose published middle frames are an archive of their own: class
folder ``ApplyEyeMakeup`` becomes ``Apply_Eye_Makeup``, as CoOp's split file
names it. Frames that are there already are kept.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import cv2

SUFFIXES = ('.avi', '.mp4', '.mkv')


def class_folder(name: str) -> str:
    """Words of a name in camel case, joined by underscores."""
    return '_'.join(re.findall(r'[A-Z][a-z]*|[a-z]+|\d+', name)) or name


def middle_frame(video: Path, target: Path) -> None:
    """Write the middle frame of ``video`` to ``target``.

    Raises:
        ValueError: The video cannot be read.
    """
    capture = cv2.VideoCapture(str(video))
    try:
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.set(cv2.CAP_PROP_POS_FRAMES, count // 2)
        read, frame = capture.read()
    finally:
        capture.release()
    if not read:
        raise ValueError(f"'{video}' cannot be read as a video.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix('.part.jpg')
    cv2.imwrite(str(partial), frame)
    partial.replace(target)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('videos', type=Path, help='holds the class folders')
    parser.add_argument('out', type=Path)
    args = parser.parse_args(argv)
    videos = sorted(
        file
        for file in args.videos.glob('*/*')
        if file.suffix.lower() in SUFFIXES
    )
    if not videos:
        raise SystemExit(
            f'error: no class folders with videos in {args.videos}'
        )
    for video in videos:
        folder = args.out / class_folder(video.parent.name)
        target = folder / f'{video.stem}.jpg'
        if target.exists():
            continue
        try:
            middle_frame(video, target)
        except ValueError as error:
            raise SystemExit(f'error: {error}') from error
    print(f'{args.out}: {len(videos)} frames')


if __name__ == '__main__':
    main()
