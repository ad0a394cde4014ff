#include "probe_budget.h"

static void begin_anew(struct budget *budget)
{
    budget->over_s = budget->recent = 0;
    for (size_t i = 0; i < budget->items_count; i++)
        budget->items[i].recent = 0;
}

// Who is too dear again soon after it came back stays away longer.
static void shed(struct budget_item *item, time_t now)
{
    bool again = item->changed && now - item->changed < 2 * (time_t)item->wait_s;
    item->wait_s = again ? item->wait_s * 2 : BUDGET_WAIT_S;
    if (item->wait_s > BUDGET_WAIT_MAX_S)
        item->wait_s = BUDGET_WAIT_MAX_S;
    item->shed = true;
    item->changed = now;
}

int budget_spend(struct budget *budget, const double *spent, double elapsed_s, time_t now)
{
    double sum = 0;
    for (size_t i = 0; i < budget->items_count; i++)
        sum += spent[i];
    if (budget->ceiling <= 0 || sum <= budget->ceiling * elapsed_s) {
        begin_anew(budget);
        return -1;
    }
    int dearest = -1;
    for (size_t i = 0; i < budget->items_count; i++) {
        struct budget_item *item = &budget->items[i];
        item->recent += spent[i];
        if (!item->shed && item->recent > 0 && (dearest < 0 || item->recent > budget->items[dearest].recent))
            dearest = (int)i;
    }
    budget->recent += sum;
    budget->over_s += elapsed_s;
    if (budget->over_s < BUDGET_OVER_S || dearest < 0)
        return -1;
    budget->shed_share = budget->recent / budget->over_s;
    budget->shed_own_share = budget->items[dearest].recent / budget->over_s;
    shed(&budget->items[dearest], now);
    begin_anew(budget);
    return dearest;
}

int budget_resume(struct budget *budget, time_t now)
{
    for (size_t i = 0; i < budget->items_count; i++) {
        struct budget_item *item = &budget->items[i];
        if (!item->shed || now - item->changed < item->wait_s)
            continue;
        item->shed = false;
        item->changed = now;
        return (int)i;
    }
    return -1;
}
