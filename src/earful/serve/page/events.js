/** Events of a scan as the views take them. */

import { get } from "./api.js";

/**
 * All events of a query, over all of its pages, by their start.
 * @param {{scan: string, source?: string, label?: string}} params of GET /api/events
 * @returns {Promise<Array<Object>>} the server's fields, and `id`, `from`, `to`, `state` (`""` where nobody said anything)
 */
export async function allEvents(params) {
  const events = [];
  for (let cursor; ;) {
    const page = await get("events", { ...params, cursor, limit: 500 });
    events.push(...page.events.map((one) => ({ ...one, id: one.event_id, from: one.start_s, to: one.end_s, state: one.review ?? "" })));
    cursor = page.cursor;
    if (!cursor) return events.sort((a, b) => a.from - b.from);
  }
}
