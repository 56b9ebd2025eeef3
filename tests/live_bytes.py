"""Counts, to the byte, what tensors are alive: the allocator's view of a step, on any device."""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """
    Every storage that an operator makes while the block runs, forward and backward, until it is freed. What was alive before is
    not counted, nor what an operator allocates and frees within itself.
    """

    def __enter__(self):
        self.live = self.peak = self.largest = 0
        self.largest_by = None
        self._known = set()
        return super().__enter__()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage(), 0, function)
        out = function(*args, **kwargs)
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._add(storage := tensor.untyped_storage(), storage.nbytes(), function)
        return out

    def _add(self, storage: torch.UntypedStorage, size: int, function) -> None:
        if storage._cdata in self._known:
            return
        self._known.add(storage._cdata)
        self.live += size
        self.peak = max(self.peak, self.live)
        if size > self.largest:
            self.largest, self.largest_by = size, str(function)
        weakref.finalize(storage, self._free, storage._cdata, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


class Calls(TorchDispatchMode):
    """How often each operator runs, by name."""

    def __enter__(self):
        self.count = {}
        return super().__enter__()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().partition(".")[0]
        self.count[name] = self.count.get(name, 0) + 1
        return function(*args, **(kwargs or {}))
