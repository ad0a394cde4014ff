// A library with the one function of libtorch that is probed, under the very name, and none of its code: for
// what no real model does.
#pragma once

#include <functional>
#include <vector>

namespace c10
{
struct IValue {
    std::function<void()> act;
};
} // namespace c10

namespace torch
{
namespace jit
{

struct GraphExecutor {
    void run(std::vector<c10::IValue> &stack);
};

struct GraphFunction {
    virtual ~GraphFunction();
    virtual void run(std::vector<c10::IValue> &stack);
    GraphExecutor executor;
};

} // namespace jit
} // namespace torch
