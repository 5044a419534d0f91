"""What seatpool is made of, and whether one may rely on it.

locks         reads the locks, and tells what is wrong with them: pins without a hash, and whatever a lock and
              pyproject.toml differ in, all the way down
licences      under which terms each package comes, and which terms are fine
online        what others know: releases taken back, and known vulnerabilities
audit         `./scripts/audit`
sbom          the bill of materials of a release
release       `./scripts/release`
"""
