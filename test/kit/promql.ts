/** What queries of Prometheus and its text format name: metrics, labels, and values of labels. */
import { parse } from "yaml";
import { alertRules } from "../../src/cli/service/alerts.ts";
import { grafanaDashboard } from "../../src/cli/service/grafana.ts";

export interface Dashboard {
  id: null;
  uid: string;
  title: string;
  schemaVersion: number;
  templating: { list: { name: string; type: string; query: unknown }[] };
  panels: {
    id: number;
    type: string;
    title: string;
    gridPos: { x: number; y: number; w: number; h: number };
    datasource: { type: string; uid: string };
    targets: {
      refId: string;
      expr: string;
      legendFormat: string;
      datasource: { type: string; uid: string };
    }[];
  }[];
}

export interface Alert {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: string };
  annotations: Record<"summary" | "description", string>;
}

export function dashboard(): Dashboard {
  return JSON.parse(grafanaDashboard("0.1.0")) as Dashboard;
}

export function alerts(): Alert[] {
  const { groups } = parse(alertRules("0.1.0")) as { groups: { rules: Alert[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** Every query of the dashboard and the alerts, and the labels that its legend or its texts show. */
export function queries(): { name: string; expr: string; shown: string[] }[] {
  const panels = dashboard().panels.flatMap(({ title, targets }) =>
    targets.map(({ expr, legendFormat }) => ({
      name: title,
      expr,
      shown: namesIn(/\{\{(\w+)\}\}/g, legendFormat),
    })),
  );
  const rules = alerts().map(({ alert, expr, annotations }) => ({
    name: alert,
    expr,
    shown: namesIn(/\$labels\.(\w+)/g, JSON.stringify(annotations)),
  }));
  return [...panels, ...rules];
}

export interface Selector {
  metric: string;
  matchers: { label: string; operator: string; value: string }[];
}

export function selectorsIn(expr: string): Selector[] {
  return [...expr.matchAll(/\b((?:cicada|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, metric = "", inner = ""]) => ({
      metric,
      matchers: [...inner.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
        ([, label = "", operator = "", value = ""]) => ({ label, operator, value }),
      ),
    }),
  );
}

/** The labels by which a query adds up or joins. */
export function groupingsIn(expr: string): string[] {
  return namesIn(/\b(?:by|on) \(([^)]*)\)/g, expr).flatMap((list) => list.split(", ").filter(Boolean));
}

function namesIn(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map(([, name = ""]) => name);
}

/** The metrics of an answer of `/metrics`, with their types and, of each label, the values that occur. */
export function metricsIn(text: string): Map<string, { type: string; labels: Map<string, Set<string>> }> {
  const found = new Map<string, { type: string; labels: Map<string, Set<string>> }>();
  for (const [, name = "", type = ""] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const series = type === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => name + end) : [name];
    for (const one of series) found.set(one, { type, labels: new Map() });
  }
  for (const [, name = "", inner = ""] of text.matchAll(/^(\w+)\{(.*)\} \S+$/gm)) {
    const labels = found.get(name)?.labels;
    for (const [, label = "", value = ""] of inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels?.set(label, (labels.get(label) ?? new Set()).add(value));
    }
  }
  return found;
}
