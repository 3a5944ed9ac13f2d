"""Builds images without a registry: the pause image, and the gateway's from the Dockerfile's last stage."""

import shutil

import rendering
from processes import run

DOCKERFILE = rendering.ROOT / "Dockerfile"


def build(work, name, *arguments):
    """Builds an image with buildah and these arguments. Returns the archive."""
    storage = ["--root", work / "storage", "--runroot", work / "storage-run", "--storage-driver", "vfs"]
    empty = work / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    run("buildah", *storage, "build", "--isolation", "chroot", "--tag", name, *arguments, empty)
    archive = work / f"{name.rpartition('/')[2].replace(':', '-')}.tar"
    run("buildah", *storage, "push", name, f"docker-archive:{archive}:{name}")
    return archive


def pause(work, name, binary):
    folder = work / "pause"
    folder.mkdir(parents=True)
    shutil.copy(binary, folder / "pause")
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY --from=pause /pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n')
    return build(work, name, "--build-context", f"pause={folder}", "--file", folder / "Dockerfile")


def gateway(work, name, binary):
    rootfs = work / "rootfs"
    run(rendering.ROOT / "image/rootfs", binary, rootfs)
    return build(work, name, "--build-context", f"rootfs={rootfs}", "--target", "image", "--file", DOCKERFILE)
