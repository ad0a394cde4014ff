// The output format of a rule that always holds.
#include "fuzz.h"

FUZZ_TARGET(output)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(1 << 20);
    text_add(&yaml,
             "- rule: R\n  desc: d\n  priority: info\n  condition: evt.source = syscall and evt.type exists\n"
             "  output: ");
    text_add_json(&yaml, (const char *)data, size);
    text_add_char(&yaml, '\n');
    if (!yaml.truncated)
        fuzz_load(text_string(&yaml), yaml.length);
    return 0;
}
