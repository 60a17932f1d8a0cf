using System.Diagnostics;
using System.Globalization;

namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>The process that gives inputs to one door. Its parent reads how far it is, and ends it where it hangs or
/// takes too much memory.</summary>
internal static class FuzzChild
{
    /// <summary>The option that such a process is started with.</summary>
    public const string Option = "--fuzz-door";

    private const int ReportMilliseconds = 100;
    private const int Variants = 8;

    /// <summary>Gives inputs until the time or their number is over.</summary>
    /// <param name="arguments">Door, seed, number of the first input, number after the last, seconds, folder for what
    /// fails.</param>
    public static void Run(string[] arguments)
    {
        int Whole(int at) => int.Parse(arguments[at], CultureInfo.InvariantCulture);
        var (seed, last, seconds, folder) = (Whole(1), Whole(3), Whole(4), arguments[5]);
        var door = FuzzDoors.All[arguments[0]]();
        var current = Path.Combine(folder, $"{arguments[0]}.current");
        var found = new HashSet<string>(StringComparer.Ordinal);
        long accepted = 0,
            refused = 0,
            undocumented = 0;
        var reported = 0L;
        if (Refusal(door) is { } refusal)
        {
            undocumented++;
            Keep(door.Corpus[0], refusal, "corpus");
        }

        var started = Stopwatch.GetTimestamp();
        for (var number = Whole(2); number < last && Stopwatch.GetElapsedTime(started).TotalSeconds < seconds; number++)
        {
            if (Stopwatch.GetElapsedTime(reported).TotalMilliseconds > ReportMilliseconds)
            {
                Report(number);
                reported = Stopwatch.GetTimestamp();
            }

            // The number alone gives the input again, whatever came before.
            var random = new Random(unchecked((seed * 1_000_003) + number));
            var input = Mutator.Mutate(random, door.Corpus, door.IsText);
            Try(input, random, number.ToString(CultureInfo.InvariantCulture));
        }

        Report(last);

        void Try(byte[] input, Random random, string number)
        {
            File.WriteAllBytes(current, input);
            try
            {
                door.Open(input, random);
                accepted++;
            }
            catch (Exception error) when (door.IsDocumented(error))
            {
                refused++;
            }
            catch (Exception error)
            {
                undocumented++;
                if (found.Add(Place(error)))
                    Keep(input, error, number);
            }
        }

        void Keep(byte[] input, Exception error, string number)
        {
            var name = Path.Combine(
                folder,
                string.Create(CultureInfo.InvariantCulture, $"{arguments[0]}-{seed}-{number}")
            );
            File.WriteAllBytes($"{name}.bin", input);
            File.WriteAllText($"{name}.txt", error.ToString());
        }

        void Report(int number) =>
            Console.WriteLine(
                string.Create(CultureInfo.InvariantCulture, $"{number} {accepted} {refused} {undocumented}")
            );
    }

    /// <summary>Why a door refuses the first of its corpus, which is right; null where it reads it. A door that did
    /// would refuse every mutant, and nothing behind it would be tried.</summary>
    private static Exception? Refusal(FuzzDoor door)
    {
        Exception? refusal = null;
        // What varies may ask for more than the input has, such as a budget that it misses: once is enough.
        for (var variant = 0; variant < Variants; variant++)
        {
            try
            {
                door.Open(door.Corpus[0], new Random(variant));
                return null;
            }
            catch (Exception error) when (door.IsDocumented(error))
            {
                refusal = error;
            }
        }

        return refusal;
    }

    /// <summary>Type and place of an exception: one fault is kept once.</summary>
    private static string Place(Exception error) =>
        $"{error.GetType()} {error.StackTrace?.Split('\n').FirstOrDefault()}";
}
