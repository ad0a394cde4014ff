// Which names an expression of Prometheus' language uses. No parser: Prometheus itself says whether the
// expression is right.
#pragma once

enum promql_kind {
    PROMQL_METRIC,
    PROMQL_LABEL, // in a selector, or behind by, on and the like
    PROMQL_RULE,  // a value of the label `rule`, each alternative of a pattern by itself
};

// Calls `found` for each name, in order; a name lives for that call only.
void promql_names(const char *expression,
                  void (*found)(enum promql_kind kind, const char *name, void *context), void *context);
