/** Answers with pages of our own. */
import type { ServerResponse } from 'node:http';
import { messagePage, pageHeaders } from './pages.ts';

export function answer(response: ServerResponse, status: number, html: string, cookies: readonly string[] = []): void {
  response.writeHead(status, {
    ...pageHeaders,
    'content-length': Buffer.byteLength(html),
    ...(cookies.length === 0 ? {} : { 'set-cookie': [...cookies] }),
  });
  response.end(html);
}

export function refuse(response: ServerResponse, status: number, title: string, words: string): void {
  answer(response, status, messagePage(title, words));
}

/** `303 See Other`, which nothing keeps. */
export function leadTo(response: ServerResponse, location: string, cookies: readonly string[] = []): void {
  response.writeHead(303, {
    location,
    'cache-control': 'no-store',
    'content-length': 0,
    ...(cookies.length === 0 ? {} : { 'set-cookie': [...cookies] }),
  });
  response.end();
}
