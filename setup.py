"""Install lore_mm, with its configs and tools inside the package."""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def read_requirements(kind: str) -> list[str]:
    """Lines of ``requirements/<kind>.txt`` that are not comments."""
    text = (ROOT / 'requirements' / f'{kind}.txt').read_text()
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith('#')]


class BuildWithConfigs(build_py):
    """Copy ``configs/`` and ``tools/`` to ``lore_mm/.mim/`` of the wheel.

    The copy is made in the build folder, never in the checkout. An editable
    install needs none: there the checkout's own folders are found.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'lore_mm', '.mim')
        # A file that the checkout no longer has must not come back.
        shutil.rmtree(target, ignore_errors=True)
        for folder in ('configs', 'tools'):
            shutil.copytree(
                ROOT / folder,
                target / folder,
                ignore=shutil.ignore_patterns('__pycache__', '*.pyc'),
            )


setup(
    name='lore_mm',
    version=runpy.run_path(str(ROOT / 'lore_mm' / 'version.py'))[
        '__version__'
    ],
    description='Locality-aware prompts for frozen ViTs, on OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='computer vision, visual prompt tuning, ViT, CLIP, OpenMMLab',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['lore_mm', 'lore_mm.*']),
    package_data={'lore_mm.visualization.report': ['*.html']},
    python_requires='>=3.10',
    install_requires=read_requirements('runtime'),
    extras_require={
        'tests': read_requirements('tests'),
        'quickstart': read_requirements('optional'),
        'export': read_requirements('export'),
        'faiss': [
            each for each in read_requirements('optional') if 'faiss' in each
        ],
        'docs': read_requirements('docs'),
        'demo': read_requirements('demo'),
    },
    cmdclass={'build_py': BuildWithConfigs},
    zip_safe=False,
)
