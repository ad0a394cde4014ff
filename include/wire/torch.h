// How the source `torch` numbers what it measures (include/wire/measure.h).
#pragma once

enum wire_torch_measure {
    WIRE_TORCH_FORWARD,
};
