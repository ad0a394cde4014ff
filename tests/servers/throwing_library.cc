#include "throwing.h"

#include <sched.h>
#include <stdexcept>

using namespace torch::jit;

static volatile unsigned caught;

GraphFunction::~GraphFunction()
{
}

// Does what the last value on the stack says, which may throw.
void GraphExecutor::run(std::vector<c10::IValue> &stack)
{
    c10::IValue value = stack.back();
    stack.pop_back();
    value.act();
}

// Ends in three ways: soon, after an exception of its own, and as the real one does, by a jump to a function
// that the loader finds by name.
void GraphFunction::run(std::vector<c10::IValue> &stack)
{
    if (stack.empty())
        return;
    if (stack.size() > 100) {
        try {
            executor.run(stack);
        } catch (const std::exception &) {
            stack.clear();
        }
        caught = caught + 1;
        return;
    }
    executor.run(stack);
#ifdef ENDS_ELSEWHERE
    sched_yield(); // a jump into another library: where that returns is not looked for
#endif
}
