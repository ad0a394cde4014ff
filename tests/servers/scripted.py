# Runs TorchScript models with libtorch, as it is told line by line, and keeps time itself: answers each line with
# how many calls it made and how many nanoseconds they took.
#   load       loads the library
#   run N      runs a scripted model, N times
#   nested N   runs a scripted function that calls another, N times
#   throw N    calls that raise an exception
import sys
import time


class Runner:
    def load(self):
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(1)

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.first = torch.nn.Linear(256, 512)
                self.second = torch.nn.Linear(512, 64)

            def forward(self, x):
                return self.second(torch.relu(self.first(x)))

        self.torch = torch
        self.model = torch.jit.script(Model().eval())
        self.input = torch.randn(32, 256)
        self.wrong = torch.randn(32, 7)

        class Outer(torch.nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, x):
                return self.inner(x) + self.inner(x)

        self.outer = torch.jit.script(Outer(self.model))

    def run(self):
        self.model(self.input)

    def nested(self):
        self.outer(self.input)

    def throw(self):
        try:
            self.model(self.wrong)
        except RuntimeError:
            return
        sys.exit('it did not raise')


runner = Runner()
print('ready', flush=True)
for line in sys.stdin:
    what, _, count = line.strip().partition(' ')
    took = 0
    if what == 'load':
        runner.load()
    for _ in range(int(count or 0)):
        with runner.torch.no_grad():
            begin = time.monotonic_ns()
            getattr(runner, what)()
            took += time.monotonic_ns() - begin
    print(int(count or 0), took, flush=True)
