/** What the mesh is expected to do in the days to come. */
import { Type } from "typebox";
import { own } from "../access/rights.ts";
import { closed } from "../http/checking.ts";
import type { Api } from "../options.ts";
import { Forecast } from "../show/forecast.ts";
import { ForecastSchema } from "../show/show-forecast.ts";
import type { UsualDurations } from "../show/usual-durations.ts";

const daysMost = 7;

export function forecastRoutes(app: Api, usual: UsualDurations): void {
  const forecast = new Forecast(usual);
  app.get(
    "/v1/forecast",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["overview"],
        summary:
          "By hour: how busy each peer would be, where a pool has too few slots, and when it is quiet, as things are now",
        querystring: Type.Object(
          {
            days: Type.Optional(
              Type.Integer({ minimum: 1, maximum: daysMost, description: `default ${daysMost}` }),
            ),
            soFar: Type.Optional(
              Type.Boolean({
                description: "where counting takes long, answer with what is counted so far",
              }),
            ),
          },
          closed,
        ),
        response: { 200: ForecastSchema },
      },
    },
    async (request, reply) => {
      const { days = daysMost, soFar = false } = request.query;
      const { control } = request;
      return reply.send(await (soFar ? forecast.soFar(control, days) : forecast.of(control, days)));
    },
  );
}
