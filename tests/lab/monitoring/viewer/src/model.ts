// What the viewer reads: a dashboard as Grafana stores it, and what Prometheus answered to its queries.
import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export interface Target {
  refId: string;
  format?: 'time_series' | 'table' | 'heatmap';
  legendFormat?: string;
}

export interface Panel {
  id: number;
  type: string;
  title?: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: Target[];
  transformations?: DataTransformerConfig[];
  fieldConfig?: FieldConfigSource;
  options: any; // each panel type has its own, a row has none
}

export interface Dashboard {
  uid: string;
  title: string;
  panels: Panel[];
  templating?: { list: Array<{ name: string; label?: string; hide?: number }> };
  links?: Array<{ title: string }>;
}

export type Sample = [seconds: number, value: string];

export interface Answer {
  refId: string;
  expr: string;
  result: Array<{ metric: Record<string, string>; value?: Sample; values?: Sample[] }>;
}

export interface Answers {
  from: number; // milliseconds since 1970, as `to`
  to: number;
  dashboards: Record<string, { variables: Record<string, string | string[]>; panels: Record<string, Answer[]> }>;
}
