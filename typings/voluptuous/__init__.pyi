# Home Assistant answers `import voluptuous` with probatio since 2026.9; check against what runs.
from probatio import *
